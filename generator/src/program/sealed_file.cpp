// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "program/sealed_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>

#include "house/interrupt.h"

namespace vaultrain {
namespace {

using nlohmann::json;

// Offsets in the header.
constexpr size_t kVersionAt = 8;
constexpr size_t kCrcAt = 12;
constexpr size_t kSizeAt = 16;
constexpr size_t kDigestAt = 24;
constexpr size_t kZerosAt = 56;
constexpr size_t kHeaderBytes = 64;

uint32_t Crc32(std::span<const uint8_t> bytes) {
  uLong crc = crc32_z(0, Z_NULL, 0);
  return static_cast<uint32_t>(crc32_z(crc, bytes.data(), bytes.size()));
}

template <typename T>
void PutLittle(std::span<uint8_t> header, size_t at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) header[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

template <typename T>
T GetLittle(std::span<const uint8_t> header, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(T{header[at + i]} << (8 * i));
  return value;
}

// Closes and removes the file unless it was renamed to what it shall be. An interruption removes
// it, too.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path)
      : lock_(InterruptMutex()),
        target_(path),
        path_(fmt::format("{}.{}.partial", path, getpid())) {
    fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0) Fail();
    AddHalfWritten(path_);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    RemoveHalfWritten(path_);
    if (fd_ >= 0) {
      close(fd_);
      unlink(path_.c_str());
    }
  }

  void Write(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) Fail();
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
  }

  void Commit() {
    if (fsync(fd_) != 0 || std::rename(path_.c_str(), target_.c_str()) != 0) Fail();
    close(fd_);
    fd_ = -1;
  }

 private:
  [[noreturn]] void Fail() const {
    RefuseInput("{}: cannot be written: {}", target_, std::strerror(errno));
  }

  std::lock_guard<std::mutex> lock_;
  std::string target_;
  std::string path_;
  int fd_ = -1;
};

std::vector<uint8_t> ReadAll(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  std::vector<uint8_t> bytes;
  size_t got = file ? 1 : 0;
  while (got > 0) {
    const size_t size = bytes.size();
    bytes.resize(size + (size_t{1} << 16));
    got = std::fread(bytes.data() + size, 1, bytes.size() - size, file.get());
    bytes.resize(size + got);
  }
  if (!file || std::ferror(file.get())) {
    RefuseInput("{}: cannot be read: {}", path, std::strerror(errno));
  }
  return bytes;
}

}  // namespace

json Binary(const Digest& digest) {
  return json::binary(std::vector<uint8_t>(digest.begin(), digest.end()));
}

const json& SealedMap::Any(const char* key) {
  const auto entry = map_.find(key);
  if (entry == map_.end()) RefuseInput("{}: {} lacks '{}'", file_, where_, key);
  ++taken_;
  return *entry;
}

std::string SealedMap::Text(const char* key) {
  const json& value = Any(key);
  if (!value.is_string()) Refuse(key, "text");
  return value.get<std::string>();
}

const std::vector<uint8_t>& SealedMap::Bytes(const char* key) {
  const json& value = Any(key);
  if (!value.is_binary()) Refuse(key, "bytes");
  return value.get_binary();
}

const json& SealedMap::List(const char* key) {
  const json& value = Any(key);
  if (!value.is_array()) Refuse(key, "a list");
  return value;
}

Digest SealedMap::Sha(const char* key) {
  const std::vector<uint8_t>& bytes = Bytes(key);
  Digest digest;
  if (bytes.size() != digest.size()) Refuse(key, "32 bytes");
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

void WriteSealed(const std::string& path, const SealedKind& kind, const Digest& variant,
                 const json& body) {
  const std::vector<uint8_t> bytes = json::to_cbor(body);
  std::array<uint8_t, kHeaderBytes> header{};
  std::copy(kind.magic.begin(), kind.magic.end(), header.begin());
  PutLittle(header, kVersionAt, kind.version);
  PutLittle(header, kCrcAt, Crc32(bytes));
  PutLittle(header, kSizeAt, uint64_t{bytes.size()});
  std::copy(variant.begin(), variant.end(), header.begin() + kDigestAt);
  TemporaryFile file(path);
  file.Write(header);
  file.Write(bytes);
  file.Commit();
}

Sealed ReadSealed(const std::string& path, const SealedKind& kind, const Digest* expected_variant) {
  const std::vector<uint8_t> bytes = ReadAll(path);
  const size_t magic_bytes = std::min(bytes.size(), kind.magic.size());
  if (bytes.empty() ||
      !std::equal(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(magic_bytes),
                  kind.magic.begin())) {
    RefuseInput("{}: not a {} file: it does not start with the magic {}", path, kind.noun,
                kind.magic.substr(0, kind.magic.size() - 2));
  }
  if (bytes.size() < kHeaderBytes) {
    RefuseInput("{}: truncated: {} bytes of a header of {}", path, bytes.size(), kHeaderBytes);
  }
  const std::span<const uint8_t> header(bytes.data(), kHeaderBytes);
  const std::span<const uint8_t> body(bytes.data() + kHeaderBytes, bytes.size() - kHeaderBytes);
  const uint32_t version = GetLittle<uint32_t>(header, kVersionAt);
  if (version != kind.version) {
    RefuseInput("{}: {} format version {}; this release reads version {}", path, kind.noun, version,
                kind.version);
  }
  const uint64_t size = GetLittle<uint64_t>(header, kSizeAt);
  if (body.size() != size) {
    RefuseInput("{}: {}: {} bytes follow the header, which says {}", path,
                body.size() < size ? "truncated" : "too long", body.size(), size);
  }
  const uint32_t crc = GetLittle<uint32_t>(header, kCrcAt);
  if (Crc32(body) != crc) {
    RefuseInput("{}: damaged: its CRC-32 is {:08x}, the header says {:08x}", path, Crc32(body),
                crc);
  }
  if (std::any_of(header.begin() + kZerosAt, header.end(), [](uint8_t b) { return b != 0; })) {
    RefuseInput("{}: damaged: the last {} bytes of the header must be zero", path,
                kHeaderBytes - kZerosAt);
  }
  Sealed sealed;
  std::copy_n(header.begin() + kDigestAt, sealed.variant.size(), sealed.variant.begin());
  if (expected_variant != nullptr && sealed.variant != *expected_variant) {
    RefuseInput("{}: a {} of the variant with digest {}; this variant has digest {}", path,
                kind.noun, ToHex(sealed.variant), ToHex(*expected_variant));
  }
  sealed.body = json::from_cbor(body.begin(), body.end(), true, false);
  if (sealed.body.is_discarded()) RefuseInput("{}: what follows the header is not CBOR", path);
  return sealed;
}

}  // namespace vaultrain
