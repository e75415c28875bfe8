#include "base/invariant.hpp"

#include <cstdio>
#include <cstdlib>

namespace bft {

void invariant_broken(const char* why, const boost::source_location& where) {
    std::fprintf(stderr, "invariant_broken at=%s:%u in=%s expected=\"%s\"\n", where.file_name(),
                 where.line(), where.function_name(), why);
    std::fflush(stderr);
    std::abort();
}

}  // namespace bft
