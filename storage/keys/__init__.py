"""How the vault's root key is kept, and what it seals."""
