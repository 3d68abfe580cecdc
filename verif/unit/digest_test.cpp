// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/digest.h"

#include <gtest/gtest.h>

namespace vaultrain {
namespace {

// FIPS 180-2, appendix B.1.
TEST(Digest, MatchesThePublishedVectorOfAbc) {
  EXPECT_EQ(ToHex(Sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace vaultrain
