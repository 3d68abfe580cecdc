// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// SHA-256 of bytes, for the digests of variants, generated files and caches.

#ifndef VAULTRAIN_DIGEST_H_
#define VAULTRAIN_DIGEST_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace vaultrain {

using Digest = std::array<uint8_t, 32>;

Digest Sha256(std::string_view bytes);

// 64 lower-case hexadecimal digits.
std::string ToHex(const Digest& digest);

}  // namespace vaultrain

#endif  // VAULTRAIN_DIGEST_H_
