// Owners of what C libraries hand out: std::unique_ptr<X509, Freed<X509_free>>.
#pragma once

namespace bft {

template <auto free>
struct Freed {
    template <class T>
    void operator()(T* pointer) const {
        free(pointer);
    }
};

}  // namespace bft
