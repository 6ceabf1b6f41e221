# Optional: the caller's KMS key for buckets, queues and logs. Without it each service encrypts with a key of its own.

locals {
  has_own_key = var.kms_key_arn != null
  # Of roles that write and read objects or messages. A list of at most one list.
  key_grants = local.has_own_key ? [["kms:Decrypt", "kms:GenerateDataKey"]] : []
}
