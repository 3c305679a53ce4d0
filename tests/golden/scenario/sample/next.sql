CALL add_day(:from);
