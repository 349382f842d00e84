{#
    The median of an array in ascending order of so many values: the one in the middle, or half of the sum of the two there.
    Not percentile_cont, whose interpolation differs between engines in the last bit.
#}
{% macro middle_of(sorted_values, value_count) -%}
    (
        {{ sorted_values }}[cast(floor(({{ value_count }} + 1) / 2.0) as integer)]
        + {{ sorted_values }}[cast(floor({{ value_count }} / 2.0) as integer) + 1]
    ) / 2
{%- endmacro %}
