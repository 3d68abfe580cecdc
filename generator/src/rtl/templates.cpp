// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/templates.h"

#include <algorithm>
#include <deque>
#include <regex>
#include <set>

#include "vaultrain/error.h"
#include "vaultrain/output.h"

namespace vaultrain::rtl {
namespace {

namespace fs = std::filesystem;

std::string WithoutComments(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size();) {
    std::string_view rest = source.substr(i);
    if (rest.starts_with("//")) {
      i = std::min(source.find('\n', i), source.size());
    } else if (rest.starts_with("/*")) {
      size_t end = source.find("*/", i + 2);
      i = end == std::string_view::npos ? source.size() : end + 2;
      text += ' ';
    } else {
      text += source[i++];
    }
  }
  return text;
}

}  // namespace

References ScanReferences(std::string_view source) {
  std::string text = WithoutComments(source);
  std::set<std::string> modules;
  std::set<std::string> includes;
  // A module name in front of its parameters or of an instance name.
  static const std::regex instance(R"(\b(vt_\w+)\s*(?:#|\b\w+\s*\())");
  for (std::sregex_iterator i(text.begin(), text.end(), instance), end; i != end; ++i) {
    std::string name = (*i)[1];
    std::string before = text.substr(0, static_cast<size_t>(i->position(1)));
    before.erase(before.find_last_not_of(" \t\n") + 1);
    bool is_declaration = before.ends_with("module");
    if (!is_declaration && !name.starts_with("vt_error_")) modules.insert(name);
  }
  static const std::regex include(R"re(`include\s+"([^"]+)")re");
  for (std::sregex_iterator i(text.begin(), text.end(), include), end; i != end; ++i) {
    includes.insert((*i)[1]);
  }
  return {{modules.begin(), modules.end()}, {includes.begin(), includes.end()}};
}

std::map<std::string, std::string> TemplateClosure(std::string_view source,
                                                   const fs::path& templates) {
  std::map<std::string, fs::path> known;
  std::error_code fault;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(
           templates, fs::directory_options::follow_directory_symlink, fault)) {
    if (entry.is_regular_file()) known.emplace(entry.path().filename().string(), entry.path());
  }
  std::map<std::string, std::string> closure;
  std::deque<std::pair<std::string, std::string>> open = {{"the top", std::string(source)}};
  while (!open.empty()) {
    auto [user, text] = std::move(open.front());
    open.pop_front();
    References references = ScanReferences(text);
    std::vector<std::string> files = references.includes;
    for (const std::string& module : references.modules) files.push_back(module + ".v");
    for (const std::string& file : files) {
      if (closure.count(file)) continue;
      auto found = known.find(file);
      if (found == known.end()) {
        throw Error(ExitStatus::kInternal,
                    fmt::format("{} needs {}, which is not in {}", user, file, templates.string()));
      }
      closure[file] = ReadFile(found->second);
      open.emplace_back(file, closure[file]);
    }
  }
  return closure;
}

}  // namespace vaultrain::rtl
