-- Statistics from here on belong to the rounds.
SELECT pg_stat_reset(), pg_stat_reset_shared(), pglab.pg_stat_statements_reset()
