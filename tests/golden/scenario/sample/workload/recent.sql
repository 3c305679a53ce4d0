-- params: device=readings.device zipf(1.1), since=window.to - 1d
SELECT at, value FROM readings WHERE device = :device AND at >= :since ORDER BY at DESC, id LIMIT 20
