-- params: to=window.to, since=window.to - 1d
SELECT device, count(*), sum(value) FROM readings WHERE at >= :since AND at < :to GROUP BY device
