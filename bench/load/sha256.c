#include "sha256.h"

#include <string.h>

struct state {
  uint32_t hash[8];
  uint8_t block[64];
  size_t length;
};

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t word, int bits) { return word >> bits | word << (32 - bits); }

static void add_block(struct state *state) {
  uint32_t w[64], h[8];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)state->block[i * 4] << 24 | state->block[i * 4 + 1] << 16 | state->block[i * 4 + 2] << 8 |
           state->block[i * 4 + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t small0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
    uint32_t small1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + small0 + w[i - 7] + small1;
  }
  memcpy(h, state->hash, sizeof h);
  for (int i = 0; i < 64; i++) {
    uint32_t big1 = rotate(h[4], 6) ^ rotate(h[4], 11) ^ rotate(h[4], 25);
    uint32_t big0 = rotate(h[0], 2) ^ rotate(h[0], 13) ^ rotate(h[0], 22);
    uint32_t one = h[7] + big1 + ((h[4] & h[5]) ^ (~h[4] & h[6])) + ROUND[i] + w[i];
    uint32_t two = big0 + ((h[0] & h[1]) ^ (h[0] & h[2]) ^ (h[1] & h[2]));
    memmove(h + 1, h, 7 * sizeof *h);
    h[4] += one;
    h[0] = one + two;
  }
  for (int i = 0; i < 8; i++) state->hash[i] += h[i];
}

static void add(struct state *state, const uint8_t *bytes, size_t length) {
  for (size_t index = 0; index < length; index++) {
    state->block[state->length++ % 64] = bytes[index];
    if (state->length % 64 == 0) add_block(state);
  }
}

void sha256(const void *first, size_t first_length, const void *second, size_t second_length,
            uint8_t digest[SHA256_BYTES]) {
  struct state state = {.hash = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                                 0x5be0cd19}};
  add(&state, first, first_length);
  add(&state, second, second_length);
  uint32_t bits = (uint32_t)(state.length * 8);
  uint8_t tail[8] = {0, 0, 0, 0, bits >> 24, bits >> 16, bits >> 8, bits};
  add(&state, (const uint8_t *)"\x80", 1);
  while (state.length % 64 != 56) add(&state, (const uint8_t *)"", 1);
  add(&state, tail, sizeof tail);
  for (int i = 0; i < SHA256_BYTES; i++) digest[i] = state.hash[i / 4] >> (24 - i % 4 * 8);
}
