# WRONG - assumes success
tokens = service.authenticate("atlassian").value
