-- The partitions must be there before their rows.
CALL add_partitions(:from, :to);
