-- Bytes that this backend has allocated in its memory contexts (caches of relations and plans among them).
SELECT sum(total_bytes)::float8 AS bytes FROM pg_get_backend_memory_contexts()
