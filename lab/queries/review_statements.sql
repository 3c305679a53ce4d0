-- The statements that changed the catalogue, in the order they were run.
-- id, script, text.
SELECT id, script, text FROM pglab.statement ORDER BY id
