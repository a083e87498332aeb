# CORRECT - service handles storage
result = service.get_tokens("atlassian")
