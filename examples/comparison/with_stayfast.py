import requests
from stayfast import AuthStatus, OAuthConfig, OAuthService, Success

ACME = OAuthConfig(
    service_name="acme",
    issuer="https://login.acme.example",
    client_id="acme-cli",
    scopes=("openid", "offline_access"),
)


def main() -> None:
    service = OAuthService(app="acme", providers={"acme": ACME})
    if service.get_status("acme") == Success(AuthStatus.NOT_AUTHENTICATED):
        service.authenticate("acme")
    print(requests.get("https://api.acme.example/me", auth=service.auth("acme"), timeout=30).json())


if __name__ == "__main__":
    main()
