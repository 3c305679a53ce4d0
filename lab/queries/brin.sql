-- Summarises every BRIN index of this database; VACUUM does it too, but not for the last range.
SELECT brin_summarize_new_values(i.oid)
FROM pg_class i
JOIN pg_am a ON a.oid = i.relam
WHERE a.amname = 'brin' AND i.relkind = 'i'
