import asyncpg

from deploy.embedded.stack import Servers


async def tamper(servers: Servers, *statements: str) -> None:
    """Change the application's database as only a superuser can: without rules or triggers."""
    name = servers.database_url.rsplit("/", 1)[1]
    superuser = await asyncpg.connect(servers.admin_database_url.rsplit("/", 1)[0] + "/" + name)
    await superuser.execute("SET session_replication_role = replica")
    for statement in statements:
        await superuser.execute(statement)
    await superuser.close()
