from __future__ import annotations

import torch
import torch.nn.functional as F

from stxlib.nn.attention import attend


def test_under_autocast_attention_on_a_cpu_is_that_of_float32() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 4, 7, 6, requires_grad=True) for _ in range(3))
    mask = torch.rand(2, 1, 1, 7) < 0.7
    mask[..., 0] = True
    expected = F.scaled_dot_product_attention(q, k, v, mask)
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(q, k, v, mask)
        rounded = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), mask)
    assert found.dtype == rounded.dtype == torch.float32
    assert torch.equal(found, expected)
    torch.testing.assert_close(rounded, expected, atol=0.05, rtol=0.05)


def test_without_autocast_the_type_stays() -> None:
    q = torch.randn(1, 2, 5, 4, dtype=torch.float64)
    assert torch.equal(
        attend(q, q, q, is_causal=True), F.scaled_dot_product_attention(q, q, q, is_causal=True)
    )
