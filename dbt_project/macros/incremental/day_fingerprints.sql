{#
    One row per operation_date of `operations` (a relation or CTE at the grain of operations, with both loaded_at columns):
    a fingerprint of which versions of which rows make up the day. Added, deleted and moved rows change the count; a
    corrected operation, or a session that was filled in later, has a new loaded_at, which changes a sum.
#}
{% macro day_fingerprints(operations) -%}
    select
        operation_date,
        md5(
            cast(count(*) as varchar)
            || '/' || cast(sum(coalesce({{ epoch_microseconds('loaded_at') }}, 0)) as varchar)
            || '/' || cast(sum(coalesce({{ epoch_microseconds('session_loaded_at') }}, 0)) as varchar)
        ) as day_fingerprint
    from {{ operations }}
    group by operation_date
{%- endmacro %}
