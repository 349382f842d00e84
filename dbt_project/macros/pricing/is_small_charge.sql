{#
    Whether all that an operation may be charged for fits in 64 bits, in which DuckDB multiplies decimals of 18 digits: wider ones
    take it a hundred times as long. That is so for up to a million tokens at small rates (see rates_are_small).
#}
{% macro is_small_charge(usage, rates) -%}
    {{ rates }}.has_small_rates
            and coalesce({{ usage }}.input_tokens, 0) <= 1000000
            and coalesce({{ usage }}.output_tokens, 0) <= 1000000
{%- endmacro %}
