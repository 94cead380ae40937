"""Imports every model once, so that migrations and tests see all tables."""

from tessera.accounts import models as accounts
from tessera.assignment import models as assignment
from tessera.assignment import training_models as training
from tessera.conduct import models as conduct
from tessera.datasets import models as datasets
from tessera.decisions import models as decisions
from tessera.earnings import models as earnings
from tessera.images import models as images
from tessera.kernel import idempotency
from tessera.kernel.db import Base
from tessera.ledger import models as ledger
from tessera.payouts import models as payouts
from tessera.projects import models as projects
from tessera.quality import models as quality
from tessera.quality import review_models as reviews

metadata = Base.metadata

__all__ = [
    "accounts",
    "assignment",
    "conduct",
    "datasets",
    "decisions",
    "earnings",
    "idempotency",
    "images",
    "ledger",
    "metadata",
    "payouts",
    "projects",
    "quality",
    "reviews",
    "training",
]
