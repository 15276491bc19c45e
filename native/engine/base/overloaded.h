// Combines several lambdas into one visitor, for std::visit over a closed set.
#pragma once

namespace nexus {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
// C++20 implies this (P1816), but clang 14 does not yet.
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace nexus
