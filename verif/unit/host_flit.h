// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Flits between the host's port and the vaults as the benches write and read them; the fields of
// rtl_templates/mesh/vt_mesh_flit.vh and host/vt_host_flit.vh, for links of 128 bits.

#ifndef VERIF_UNIT_HOST_FLIT_H_
#define VERIF_UNIT_HOST_FLIT_H_

#include <cstdint>

namespace vaultrain {

enum class HostFlitType { kRead = 2, kWrite = 3, kBeat = 4, kData = 5, kAck = 6 };

struct HostFlit {
  HostFlitType type = HostFlitType::kRead;
  uint32_t cast = 0;
  uint32_t x = 0;
  uint32_t y = 0;
  bool error = false;
  uint32_t mask = 0;
  uint64_t payload = 0;
  bool operator==(const HostFlit&) const = default;
};

template <typename Port>
void PutFlit(const HostFlit& flit, Port& port) {
  for (int word = 0; word < 6; ++word) port[word] = 0;
  const uint64_t low = flit.cast | flit.x << 2 | flit.y << 5 |
                       static_cast<uint32_t>(flit.type) << 8 | uint32_t{flit.error} << 11 |
                       uint64_t{flit.mask} << 17 | flit.payload << 41;
  const uint64_t high = flit.payload >> 23;
  port[0] = static_cast<uint32_t>(low);
  port[1] = static_cast<uint32_t>(low >> 32);
  port[2] = static_cast<uint32_t>(high);
  port[3] = static_cast<uint32_t>(high >> 32);
}

template <typename Port>
HostFlit GetFlit(const Port& port) {
  const uint64_t low = port[0] | uint64_t{port[1]} << 32;
  const uint64_t high = port[2] | uint64_t{port[3]} << 32;
  HostFlit flit;
  flit.cast = low & 3;
  flit.x = low >> 2 & 7;
  flit.y = low >> 5 & 7;
  flit.type = static_cast<HostFlitType>(low >> 8 & 7);
  flit.error = low >> 11 & 1;
  flit.mask = low >> 17 & 0xffffff;
  flit.payload = low >> 41 | high << 23;
  return flit;
}

}  // namespace vaultrain

#endif  // VERIF_UNIT_HOST_FLIT_H_
