{#
    A query that counts what is in the lists of each row of `lists`, a smallint[] for each of the metrics that is named after
    it with `_list`, and keeps the other columns. `buckets` are those that occur, ascending, one metric's after the other's;
    `<metric>_end` says which is the metric's last. `small_counts` (smallint) says how often each occurs, in the same order,
    or, where one is too great for that, `large_counts` (integer). In PostgreSQL a list takes 24 bytes before its first
    entry, and counts that are all integers two more for each: the reason for one pair of lists and for two widths.
#}
{% macro count_buckets(lists, columns, metrics) -%}
    {{ return(adapter.dispatch('count_buckets', 'llmops_warehouse')(lists, columns, metrics)) }}
{%- endmacro %}

{# Row by row, which PostgreSQL does in memory; one query over all buckets of all rows would sort them on disk. #}
{% macro default__count_buckets(lists, columns, metrics) -%}
    select
        {{ columns | join(',\n        ') }},
        {%- for metric in metrics %}
        counted.{{ metric }}_end,
        {%- endfor %}
        counted.buckets,
        case when counted.greatest_count < 32768 then cast(counted.counts as smallint[]) end as small_counts,
        case when counted.greatest_count >= 32768 then cast(counted.counts as integer[]) end as large_counts
    from {{ lists }}
    cross join lateral (
        select
            {%- for metric in metrics %}
            cast(count(*) filter (where place <= {{ loop.index }}) as smallint) as {{ metric }}_end,
            {%- endfor %}
            array_agg(bucket order by place, bucket) as buckets,
            array_agg(bucket_count order by place, bucket) as counts,
            max(bucket_count) as greatest_count
        from (
            select
                place,
                bucket,
                count(*) as bucket_count
            from (
                {%- for metric in metrics %}
                select
                    {{ loop.index }} as place,
                    unnest({{ metric }}_list) as bucket
                {%- if not loop.last %}
                union all
                {%- endif %}
                {%- endfor %}
            ) as listed
            group by place, bucket
        ) as occurring
    ) as counted
{%- endmacro %}

{% macro duckdb__count_buckets(lists, columns, metrics) -%}
    select
        {{ columns | join(',\n        ') }},
        {%- for metric in metrics %}
        {{ metric }}_end,
        {%- endfor %}
        buckets,
        case when list_max(counts) < 32768 then cast(counts as smallint[]) end as small_counts,
        case when list_max(counts) >= 32768 then cast(counts as integer[]) end as large_counts
    from (
        select
            {{ columns | join(',\n            ') }},
            {%- for metric in metrics %}
            cast(
                {%- for earlier in metrics[:loop.index] %}
                {{ '+ ' if not loop.first }}coalesce(cardinality({{ earlier }}_histogram), 0)
                {%- endfor %}
                as smallint
            ) as {{ metric }}_end,
            {%- endfor %}
            list_concat(
                {%- for metric in metrics %}
                map_keys({{ metric }}_histogram){{ ',' if not loop.last }}
                {%- endfor %}
            ) as buckets,
            list_concat(
                {%- for metric in metrics %}
                map_values({{ metric }}_histogram){{ ',' if not loop.last }}
                {%- endfor %}
            ) as counts
        from (
            select
                {%- for metric in metrics %}
                list_aggregate({{ metric }}_list, 'histogram') as {{ metric }}_histogram,
                {%- endfor %}
                {{ columns | join(',\n                ') }}
            from {{ lists }}
        )
    )
{%- endmacro %}
