// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The form that program files and checkpoints share: a 64-byte header {8 bytes of magic, u32
// version, u32 CRC-32 of all that follows the header, u64 bytes that follow, 32-byte variant
// digest, zeros}, then one CBOR map. Little-endian.

#ifndef VAULTRAIN_SRC_PROGRAM_SEALED_FILE_H_
#define VAULTRAIN_SRC_PROGRAM_SEALED_FILE_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vaultrain/digest.h"
#include "vaultrain/error.h"

namespace vaultrain {

struct SealedKind {
  std::string_view magic;  // 8 bytes, two of which end a line
  uint32_t version;
  std::string_view noun;  // "program", for messages
};

// Written atomically (temporary file in the same folder, then renamed).
void WriteSealed(const std::string& path, const SealedKind& kind, const Digest& variant,
                 const nlohmann::json& body);

struct Sealed {
  Digest variant{};
  nlohmann::json body;
};

// Throws Error(kUnusableInput) that names the file and the rule: another kind of file, other
// version, truncated, CRC mismatch, and another variant unless expected_variant is null.
Sealed ReadSealed(const std::string& path, const SealedKind& kind, const Digest* expected_variant);

nlohmann::json Binary(const Digest& digest);

// Reads the fields of one map; every refusal names the file and the field.
class SealedMap {
 public:
  SealedMap(const std::string& file, std::string where, const nlohmann::json& value)
      : file_(file), where_(std::move(where)), map_(value) {
    if (!map_.is_object()) RefuseInput("{}: {} is not a map", file_, where_);
  }

  const nlohmann::json& Any(const char* key);
  std::string Text(const char* key);
  const std::vector<uint8_t>& Bytes(const char* key);
  const nlohmann::json& List(const char* key);
  Digest Sha(const char* key);

  // An integer that T holds and that is not below `least`.
  template <typename T>
  T Integer(const char* key, T least = 0) {
    const nlohmann::json& value = Any(key);
    if (!value.is_number_integer()) Refuse(key, "an integer");
    const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<uint64_t>())
                                                 : std::in_range<T>(value.get<int64_t>());
    if (!fits || value.get<T>() < least) Refuse(key, "an integer in range");
    return value.get<T>();
  }

  template <typename Enum, size_t kCount>
  Enum Choice(const char* key, const char* const (&names)[kCount]) {
    const std::string text = Text(key);
    const auto name = std::find(std::begin(names), std::end(names), text);
    if (name == std::end(names)) Refuse(key, "one of its names");
    return static_cast<Enum>(name - std::begin(names));
  }

  // To be called when all fields were read.
  void Close() const {
    if (map_.size() != taken_) RefuseInput("{}: {} has an unknown field", file_, where_);
  }

  [[noreturn]] void Refuse(const char* key, const char* expected) const {
    RefuseInput("{}: '{}' in {} is not {}", file_, key, where_, expected);
  }

 private:
  const std::string& file_;
  std::string where_;
  const nlohmann::json& map_;
  size_t taken_ = 0;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_PROGRAM_SEALED_FILE_H_
