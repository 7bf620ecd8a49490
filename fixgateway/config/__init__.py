"""What people write in files (gateway.toml, policy.toml, accounts.csv, statements): read, checked, explained."""
