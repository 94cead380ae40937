"""`python -m api`: serve the API until told to stop."""

import asyncio

import uvicorn

from api.app import create_app
from tessera.kernel import db
from tessera.kernel.logs import configure_logging
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of


async def main() -> None:
    settings = Settings()
    configure_logging()
    engine = db.create_engine(
        str(settings.database_url), application_name="api", pool_size=settings.database_pool_size
    )
    store = store_of(settings)
    app = create_app(settings, db.create_sessions(engine), store)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )
    try:
        await server.serve()
    finally:
        await engine.dispose()
        store.close()


if __name__ == "__main__":
    asyncio.run(main())
