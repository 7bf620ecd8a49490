"""Exports: registers for examiners, the exam pack of one block, the annual review pack, the policy as printed."""
