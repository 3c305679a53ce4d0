CALL drop_day(:from);
