-- Two statements, one transaction, one tenant: the order is paid, and what is still open around it is counted.
-- params: tenant=orders.tenant, id=orders.id
UPDATE orders SET status = 'paid' WHERE tenant = :tenant AND id = :id;
SELECT count(*) FROM orders WHERE tenant = :tenant AND id BETWEEN :id - 500 AND :id + 500 AND status = 'open';
