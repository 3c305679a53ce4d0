DELETE FROM readings WHERE at >= :from AND at < :to;
VACUUM readings;
