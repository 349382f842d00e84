{#
    The bucket of a value, as a smallint: the greatest number whose power of 1.02 is not above the value, from -2048 to 2559.
    What is less than 1.02 ** -2048 (2.4e-18), such as 0, is in bucket -2049; what is not less than 1.02 ** 2560 (1e22) is in
    the last; NULL is in none. Whole milliseconds and tokens per second, quotients of two bigints, are never outside.

    The logarithm is wrong by less than a hundred-millionth of a bucket. It decides unless the value is closer than that to
    a bound: then the bound itself does, so that every database puts every value into the same bucket.
#}
{% macro histogram_bucket(value) -%}
    {%- set amount = 'cast(' ~ value ~ ' as double precision)' -%}
    {%- set place = 'ln(' ~ amount ~ ') * 50.498349791843943e0' -%}
    {%- set nearest = 'cast(round(' ~ place ~ ') as integer)' -%}
    cast(
        case
            when {{ amount }} < 2.4369590506378526e-18 then -2049
            when {{ amount }} >= 1.0385794150720038e22 then 2559
            when abs({{ place }} - round({{ place }})) > 1e-8 then floor({{ place }})
            when {{ amount }} < {{ histogram_bound(nearest) }} then {{ nearest }} - 1
            else {{ nearest }}
        end as smallint
    )
{%- endmacro %}
