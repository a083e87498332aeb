from stayfast import MemoryTokenStorage
from stayfast import OAuthService

# Use for testing without file I/O
storage = MemoryTokenStorage()
service = OAuthService(token_storage=storage)
