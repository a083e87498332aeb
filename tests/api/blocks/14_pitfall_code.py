from stayfast import OAuthTokens

# WRONG - hardcoded tokens
tokens = OAuthTokens(access_token="eyJhbG...")
