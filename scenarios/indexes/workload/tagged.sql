-- How many tickets have a rare tag, by status.
SELECT status, count(*) AS tickets FROM tickets WHERE tags @> '["abuse"]' GROUP BY status ORDER BY status
