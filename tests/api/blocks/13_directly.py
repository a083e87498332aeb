# Or provide directly
service.authenticate("atlassian", client_id="your-client-id")
