"""The decisions of jobs, without I/O: changes of a record, leases, oversight of other owners, admission."""
