"""The feed's door in: changes of another installation, and the process that fetches and sends them."""
