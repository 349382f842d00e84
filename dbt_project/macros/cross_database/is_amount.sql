{#
    Whether a number can be what one operation cost: less than 1,000,000 US dollars, so that trillionths of it fit in 64 bits. NaN
    is not, as it comes after all numbers in the order of both engines.
#}
{% macro is_amount(number) -%}
    abs({{ number }}) < 1000000
{%- endmacro %}
