-- Where objects and columns of the author's came from: the last statement that made or changed each.
-- oid, attnum (0 for an object as a whole), statement (its id).
SELECT oid::bigint, attnum, max(statement) AS statement
FROM pglab.made
WHERE statement > 0
GROUP BY oid, attnum
ORDER BY oid, attnum
