"""Where the parts are put together: the service, the SDK and the command."""
