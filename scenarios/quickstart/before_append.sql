-- The partition must be there before its rows.
CALL add_partition(:from);
