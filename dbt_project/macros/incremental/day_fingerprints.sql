{#
    One row per operation_date of `operations` (a relation or CTE at the grain of operations, with what they were made of): how
    many there are, and a fingerprint of which versions of which rows make up the day. Added and deleted rows change the count;
    moved ones the sum of times; a corrected operation, a session that was filled in later, a call that became part of an agent's
    operation and another price of a model each change another sum.
#}
{% macro day_fingerprints(operations) -%}
    select
        operation_date,
        count(*) as operation_count,
        md5(
            cast(count(*) as varchar)
            || '/' || cast(sum({{ version_of('started_at') }}) as varchar)
            || '/' || cast(sum(coalesce({{ version_of('loaded_at') }}, 0)) as varchar)
            || '/' || cast(sum(coalesce({{ version_of('session_loaded_at') }}, 0)) as varchar)
            || '/' || cast(sum(coalesce(child_call_count, 0)) as varchar)
            || '/' || cast(sum(coalesce({{ version_of('last_child_loaded_at') }}, 0)) as varchar)
            || '/' || cast(sum(coalesce(price_version, 0)) as varchar)
        ) as day_fingerprint
    from {{ operations }}
    group by operation_date
{%- endmacro %}
