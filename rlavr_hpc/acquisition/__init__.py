"""Which labels are bought, by whom, and the record of it. No label passes by another way."""
