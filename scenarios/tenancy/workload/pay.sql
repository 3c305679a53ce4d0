-- An order is paid: one row, one commit.
-- params: tenant=orders.tenant, id=orders.id
UPDATE orders SET status = 'paid' WHERE tenant = :tenant AND id = :id
