"""An audit of a training loop of one's own: its gradients, its penalty, what it logs, by experiment."""

from banach.auditing.audit import audit as audit
from banach.auditing.findings import QUESTIONS as QUESTIONS
from banach.auditing.findings import Audit as Audit
from banach.auditing.findings import Finding as Finding
from banach.auditing.loop import AuditError as AuditError
