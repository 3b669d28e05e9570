"""Training of the attribute network: perceived gender and age group on FairFace."""
