/* SHA-256 (FIPS 180-4), for caching_sha2_password. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32 };

/* The digest of two pieces, one after the other; `second` may be NULL with length 0. Together under 2^29 bytes. */
void sha256(const void *first, size_t first_length, const void *second, size_t second_length,
            uint8_t digest[SHA256_BYTES]);
