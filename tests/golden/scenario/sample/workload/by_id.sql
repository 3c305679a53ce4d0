-- params: id=readings.id
SELECT * FROM readings WHERE id = :id
