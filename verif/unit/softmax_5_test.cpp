// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include "unit/softmax_driver.h"

namespace vaultrain {
namespace {

constexpr size_t kMaxClasses = 5;

TEST(SoftmaxOf5Classes, EqualsTwinUnderRandomStalls) {
  VerilatedContext context;
  Vdut dut(&context);
  SoftmaxDriver<Vdut> driver(dut, 1);
  driver.CompareRows(kMaxClasses, 6000, true);
}

TEST(SoftmaxOf5Classes, KeepsItsPaceWithoutStalls) {
  VerilatedContext context;
  Vdut dut(&context);
  SoftmaxDriver<Vdut> driver(dut, 2);
  driver.CompareRows(kMaxClasses, 1500, false);
}

}  // namespace
}  // namespace vaultrain
